"""What the doubles of the mail providers share: their state, HTTP, and how they look into DNS."""
