"""wpod network"""
