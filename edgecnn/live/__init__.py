"""What others see of a running camera: a page in the browser, events at a broker. Optional extras."""
