import json, pytest
from tests.browser.conftest import *
@pytest.mark.parametrize("mode", ["strict", "single"])
def test_dump(stage, mode):
    stage.tavern.set_post_processing(mode)
    stage.tavern.send("I count the waves.")
    stage.tavern.send("Every seventh is higher.")
    print("=====", mode)
    print(json.dumps(stage.provider.prompts()[-2:], indent=1))
    print(json.dumps(stage.remembered(), indent=1))
    print(json.dumps(stage.memory._get("", limit=10), indent=1))
    stage.tavern.set_post_processing("")
    stage.tavern.send("Now they are gone.")
    print(json.dumps(stage.remembered(), indent=1))
