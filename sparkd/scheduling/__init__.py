"""Decides which model runs when: process lifecycle, ledger of requests, and policy. No I/O, no clock."""
