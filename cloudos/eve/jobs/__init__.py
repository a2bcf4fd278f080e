"""What a job of the service does and needs: authority, pools, designs, secrets, a workplace, the states in the database."""
