"""What adapters of engines share: the graph of a plan, calls of the runtime, runs followed, drivers of our own."""
