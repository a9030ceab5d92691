"""The tables of the history."""

from __future__ import annotations

from typing import Final

from sparkd.storage.database import Schema

CREATE: Final = """
CREATE TABLE runs (
    number INTEGER PRIMARY KEY, model TEXT NOT NULL, key TEXT NOT NULL, ended REAL NOT NULL,
    peak INTEGER NOT NULL, final INTEGER NOT NULL, load_time REAL NOT NULL, phases TEXT NOT NULL
);
CREATE INDEX runs_of ON runs (model, key, number);
CREATE TABLE starting (model TEXT PRIMARY KEY, key TEXT NOT NULL, boot TEXT NOT NULL);
CREATE TABLE quarantined (model TEXT PRIMARY KEY, key TEXT NOT NULL, cause TEXT NOT NULL);
CREATE TABLE guard_kills (model TEXT PRIMARY KEY, key TEXT NOT NULL, count INTEGER NOT NULL);
CREATE TABLE last_guard_action (one INTEGER PRIMARY KEY CHECK (one = 1), model TEXT NOT NULL, at REAL NOT NULL);
CREATE TABLE leaks (boot TEXT PRIMARY KEY, bytes INTEGER NOT NULL);
"""

ADDITIONS: Final = """
CREATE TABLE IF NOT EXISTS warm_failures (
    build TEXT NOT NULL, model TEXT NOT NULL, cause TEXT NOT NULL, recent INTEGER NOT NULL, PRIMARY KEY (build, model)
);
CREATE TABLE IF NOT EXISTS loads (
    number INTEGER PRIMARY KEY, model TEXT NOT NULL, key TEXT NOT NULL, is_warm INTEGER NOT NULL, size INTEGER NOT NULL,
    seconds REAL NOT NULL, phases TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS loads_of ON loads (model, key, is_warm, number);
"""
"""Tables that a file of this version may not have yet. An earlier sparkd ignores them."""

SCHEMA: Final = Schema(version=2, create=CREATE, additions=ADDITIONS)
"""A file with another version is renamed: sparkd can learn again."""
