"""What the adapters of engines share: a plan's graph, calls of the runtime, runs followed, drivers of our own."""
