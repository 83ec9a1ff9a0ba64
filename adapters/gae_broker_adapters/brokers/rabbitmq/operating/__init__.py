"""What an operator does: declare, plan, check, grant, export."""
