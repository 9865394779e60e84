"""What a pod of an endpoint finds: variables and files."""

from __future__ import annotations

ENDPOINT = "TURNOUT_ENDPOINT"
"""The variable with the path of the endpoint's plan, a file that is mounted from a ConfigMap."""
STEP = "TURNOUT_ENDPOINT_STEP"
"""The variable that names the one step which a node of a split graph answers; absent where a pod answers all."""
FOLDER = "/etc/turnout/endpoint"
"""The folder of the plan in a pod."""
PLAN = "endpoint.json"
"""The plan's name in it."""
