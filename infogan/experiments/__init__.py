"""The paper's claims, each an experiment of real runs that ends in numbers, a table and figures."""
