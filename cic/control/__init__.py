"""Control of energy and stability: which cut, clock level and transmit rate come next, so that averages keep their targets."""
