"""Switch an estate there and back again, as often as is asked, and compare it with its baseline."""
