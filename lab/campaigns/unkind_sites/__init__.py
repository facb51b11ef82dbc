"""Switch over estates whose machines are as sites have them, one for each seed."""
