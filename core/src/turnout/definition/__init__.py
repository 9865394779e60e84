"""What a user writes: plain functions, traced to a :class:`~turnout.spec.model.PipelineSpec`."""
