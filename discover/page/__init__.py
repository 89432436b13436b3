"""The campaign page: a web page and a JSON API over the stores of campaigns."""
