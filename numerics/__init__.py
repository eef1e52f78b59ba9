"""The closed form on arrays, the differential equation without it, and the budget between them."""
