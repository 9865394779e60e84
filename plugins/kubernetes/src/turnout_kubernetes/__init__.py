"""What the deployers on Kubernetes share: settings, manifests, and a cluster as Kubernetes' own client sees it."""
