"""What people who run the service ask it: dead letters, the doctor, the accounting."""
