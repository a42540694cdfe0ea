"""Model and machines to splitting model: names become numbers, the numbers are solved, the cuts get names again."""
