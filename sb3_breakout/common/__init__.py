"""The ground floor: what every other part uses, and what uses none of them."""
