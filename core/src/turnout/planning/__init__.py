"""A spec, a stack, a code package and locked environments become one plan, published or exported."""
