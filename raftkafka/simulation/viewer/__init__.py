"""A run as one page that shows it: `film` records what happens in a world, `page` makes a file of it that needs no network."""
