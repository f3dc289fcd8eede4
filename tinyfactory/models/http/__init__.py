"""One request to an endpoint: address, retries, rate limit, circuit breaker, capabilities."""
