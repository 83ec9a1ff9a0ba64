"""Publishing with confirms: any thread hands messages over, one thread sends them and hears what became of them."""
