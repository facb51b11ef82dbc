"""Campaigns that run many cases on labs side by side."""
