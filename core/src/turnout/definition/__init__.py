"""What a user writes: plain functions, traced to a :class:`~turnout.model.spec.PipelineSpec`."""
