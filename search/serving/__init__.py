"""What servers of ours share: which names they answer to, which connections they keep, and how they begin and end."""
