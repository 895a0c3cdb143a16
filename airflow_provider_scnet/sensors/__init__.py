"""Waiting for jobs."""
