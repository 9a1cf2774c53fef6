"""Runs the recipe of docs/model-format.md on a model file and prints the synapses of some neurons as JSON."""

import json
import re
import sys

document, model, *neurons = sys.argv[1:]
recipes = re.findall(r"```python\n(.*?)```", open(document).read(), re.S)
recipe = next(code for code in recipes if "def synapses" in code)
# The example at the end of the recipe names a file of its own.
exec(recipe.split("\nwith h5py.File")[0])
with h5py.File(model) as file:
    print(json.dumps([list(synapses(file, int(neuron))) for neuron in neurons]))
