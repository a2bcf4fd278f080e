"""Jobs: long work that survives its workers. The database is the truth; a queue only tells workers that there is work."""
