"""The configuration: typed sections with defaults, units and sources, read from TOML."""

from miliary.config.load import config_dict, config_hash, config_toml, load_config, update_config
from miliary.config.sections import Config

__all__ = ["Config", "config_dict", "config_hash", "config_toml", "load_config", "update_config"]
