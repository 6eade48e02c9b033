"""What a file means: names resolved, units gone, numbers only; and whether it is physics."""
