"""What a site's pages say: parsing, apart from crawling, tested without a network."""
