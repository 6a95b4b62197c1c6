# shellcheck shell=bash
# Sourced by the other scripts: makes .venv in the repository and installs the package into it.

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
venv_python="$root/.venv/bin/python"

# The first Python on the path that is new enough and runs.
find_python() {
    local candidate
    for candidate in python3.11 python3.12 python3.13 python3 python; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    echo "miliary needs Python 3.11 or newer, found none on the path; install one and try again" >&2
    return 1
}

# An empty .venv. Debian's Python comes without ensurepip unless python3-venv is installed; then
# the pip outside installs into it.
make_environment() {
    local python
    python="$(find_python)"
    echo "making .venv with $("$python" --version)" >&2
    if ! "$python" -m venv --clear "$root/.venv" >/dev/null 2>&1; then
        "$python" -m venv --clear --without-pip "$root/.venv"
        "$python" -m pip --version >/dev/null
        echo "$python" >"$root/.venv/outer_python"
    fi
}

pip_install() {
    if [[ -f "$root/.venv/outer_python" ]]; then
        "$(<"$root/.venv/outer_python")" -m pip --python "$venv_python" install --quiet --quiet "$@"
    else
        "$venv_python" -m pip install --quiet --quiet "$@"
    fi
}

# `ensure_environment EXTRA`, EXTRA one of run, test, dev, each holding the one before, or docs, which
# dev holds too. A stamp tells what is installed, so that a second run starts at once; another
# pyproject.toml or another place of the repository asks for another stamp.
ensure_environment() {
    local extra="$1" enough hash installed
    case "$extra" in
        run) enough="run test docs dev" ;;
        docs) enough="docs dev" ;;
        test) enough="test dev" ;;
        *) enough="dev" ;;
    esac
    "$venv_python" -c '' 2>/dev/null || make_environment
    hash="$("$venv_python" -c 'import hashlib, sys
text = open(sys.argv[1] + "/pyproject.toml", "rb").read() + sys.argv[1].encode()
print(hashlib.sha256(text).hexdigest()[:16])' "$root")"
    for installed in $enough; do
        if [[ -f "$root/.venv/installed-$installed-$hash" ]]; then
            return
        fi
    done
    echo "installing miliary ($extra) into .venv; the first time takes a few minutes" >&2
    if [[ "$extra" == "run" ]]; then
        pip_install --editable "$root"
    else
        pip_install --editable "${root}[$extra]"
    fi
    touch "$root/.venv/installed-$extra-$hash"
}
