"""Readers, one per tool: each knows its report when it sees it, and reads it strictly."""
