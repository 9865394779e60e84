"""The documents as frozen data: spec, plan, records, and the values and conditions in them."""
