"""Petra behind the interfaces of other people's libraries. Each module needs its library: see its extra."""
