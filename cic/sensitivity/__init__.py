"""How much operating conditions matter to where a network is best cut: swept over a table, or as somebody measured it."""
