"""What things are: values without behaviour of their own."""
