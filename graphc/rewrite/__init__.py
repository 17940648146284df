"""Rewriting: patterns, the engine that applies rules, and the sets of rules with their promises."""
