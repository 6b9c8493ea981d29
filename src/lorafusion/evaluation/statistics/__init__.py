"""Statistics: plain functions of arrays, with numpy alone; every random draw has a seed."""
