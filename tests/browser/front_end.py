"""Drives SillyTavern's page as its user does, and reads the chat that the page holds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page

WATCH = """async () => {
    const script = await import('/script.js');
    const { eventSource, event_types } = SillyTavern.getContext();
    const test = globalThis.browserTest = { ended: 0, opened: 0, streamed: '' };
    test.idle = () => !script.isGenerating() && !script.isChatSaving && script.swipeState === 'none'
        && document.body.dataset.generating !== 'true'
        && (script.streamingProcessor === null || script.streamingProcessor.isStopped);
    eventSource.on(event_types.GENERATION_ENDED, () => { test.ended++; });
    eventSource.on(event_types.GENERATION_STARTED, () => { test.streamed = ''; });
    eventSource.on(event_types.STREAM_TOKEN_RECEIVED, text => { test.streamed = text; });
    eventSource.on(event_types.CHAT_CHANGED, () => { test.opened++; });
}"""
"""Counts ended generations and opened chats. `idle`: SillyTavern does nothing with the chat any more; it shows
the end of a reply before it lets go of it, and loses the next reply when that is begun in between."""

CHAT = """() => SillyTavern.getContext().chat.map(m => ({
    role: m.extra?.type === 'narrator' ? 'system' : m.is_user ? 'user' : 'assistant',
    name: m.name, text: m.mes.trim(), hidden: Boolean(m.is_system),
}))"""


@dataclass(frozen=True, slots=True)
class Line:
    """One message as SillyTavern holds it; hidden ones are not sent."""

    role: str
    name: str
    text: str
    hidden: bool


class FrontEnd:
    """SillyTavern's page. Every action returns when SillyTavern is at rest again."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.load()

    def load(self) -> None:
        """Load the page and await that it is connected; no chat is open then."""
        page = self.page
        page.goto(self.url, wait_until="domcontentloaded")
        page.wait_for_function("globalThis.SillyTavern?.getContext && !document.querySelector('#preloader')")
        page.wait_for_function("SillyTavern.getContext().onlineStatus !== 'no_connection'")
        page.evaluate(WATCH)

    # what it holds

    def chat(self) -> list[Line]:
        """Every message of the open chat, oldest first."""
        return [Line(**line) for line in self.page.evaluate(CHAT)]

    def draft(self) -> str:
        """What stands in the input box."""
        return self.page.locator("#send_textarea").input_value()

    # characters and chats

    def import_card(self, card: dict[str, Any]) -> None:  # Any: a character card
        """Import a card (V2 JSON) through the page's own file input."""
        file = {"name": f"{card['data']['name']}.json", "mimeType": "application/json"}
        self.page.set_input_files("#character_import_file", [file | {"buffer": json.dumps(card).encode()}])
        self.page.wait_for_function(
            "name => SillyTavern.getContext().characters.some(c => c.name === name)", arg=card["data"]["name"]
        )

    def open_character(self, name: str) -> None:
        """Open a character's most recent chat."""
        with self._opening():
            self.page.evaluate(
                """name => {
                    const context = SillyTavern.getContext();
                    return context.selectCharacterById(context.characters.findIndex(c => c.name === name));
                }""",
                name,
            )

    def new_chat(self) -> None:
        """Begin a new chat with the open character or group."""
        with self._opening():
            self._option("option_start_new_chat")
            self.page.locator("dialog.popup[open] .popup-button-ok").click()

    def new_group(self, title: str, *names: str) -> None:
        """Make a group in which everyone answers each message and open its chat."""
        if self.page.locator("#right-nav-panel.closedDrawer").count():
            self.page.locator("#rightNavDrawerIcon").click()
        self.page.locator("#rm_button_characters").click()
        self.page.locator("#rm_button_group_chats").click()
        self.page.fill("#rm_group_chat_name", title)
        self.page.locator("#rm_group_activation_strategy").select_option(label="List order")
        for name in names:
            candidate = self.page.locator("#rm_group_add_members .group_member").filter(has_text=name)
            candidate.locator("[data-action=add]").click()
        self.page.locator("#rm_group_submit").click()
        with self._opening():
            self.page.locator(".group_select").filter(has_text=title).click()

    def branch(self, index: int) -> None:
        """Branch off after message `index` and open the branch."""
        with self._opening():
            self._message(index).locator(".mes_create_branch").click()

    def back_to_main_chat(self) -> None:
        """From a branch to the chat that it left."""
        with self._opening():
            self._option("option_back_to_main")

    # generations

    def type(self, text: str) -> None:
        self.page.fill("#send_textarea", text)

    def send(self, text: str) -> None:
        """Send a message and await the reply."""
        with self.generating():
            self.begin(text)

    def begin(self, text: str) -> None:
        """Send a message without awaiting anything."""
        self.type(text)
        self.page.locator("#send_but").click()

    def swipe_right(self) -> None:
        """To the next reply, which is generated when there is none yet."""
        last = self.page.evaluate(
            "() => { const m = SillyTavern.getContext().chat.at(-1); return m.swipe_id + 1 >= m.swipes.length; }"
        )
        arrow = self.page.locator(".last_mes .swipe_right")
        if not last:
            self._swipe(arrow)
            return
        with self.generating():
            arrow.click()

    def swipe_left(self) -> None:
        """Back to the reply before."""
        self._swipe(self.page.locator(".last_mes .swipe_left"))

    def regenerate(self) -> None:
        with self.generating():
            self._option("option_regenerate")

    def continue_reply(self) -> None:
        """Let the last message be written on."""
        with self.generating():
            self._option("option_continue")

    def impersonate(self) -> None:
        """Let the user's next message be written into the input box."""
        with self.generating():
            self._option("option_impersonate")

    def command(self, line: str) -> str:
        """Run a slash command; its result."""
        result: dict[str, Any] = self.page.evaluate(
            "line => SillyTavern.getContext().executeSlashCommandsWithOptions(line).then(r => ({pipe: r.pipe}))",
            line,
        )
        self.await_rest()
        return str(result["pipe"])

    def stop_after(self, text: str) -> None:
        """Press the stop button once the reply that streams in ends with `text`; await the end."""
        self.page.wait_for_function("text => browserTest.streamed.endsWith(text)", arg=text)
        with self.generating():
            self.page.locator("#mes_stop").click()

    # messages

    def edit(self, index: int, text: str) -> None:
        """Replace the text of message `index`."""
        message = self._message(index)
        message.locator(".mes_edit").click()
        self.page.fill("#curEditTextarea", text)
        message.locator(".mes_edit_done").click()
        self.page.wait_for_selector("#curEditTextarea", state="detached")
        self.await_rest()

    def delete_from(self, index: int) -> None:
        """Delete message `index` and all after it."""
        self._option("option_delete_mes")
        self._message(index).locator(".del_checkbox").click()
        self.page.locator("#dialogue_del_mes_ok").click()
        self.page.wait_for_function("n => SillyTavern.getContext().chat.length === n", arg=index)
        self.await_rest()

    def delete_last(self) -> None:
        self.delete_from(len(self.chat()) - 1)

    def delete_one(self, index: int) -> None:
        """Delete message `index` alone."""
        left = len(self.chat()) - 1
        message = self._message(index)
        message.locator(".mes_edit").click()
        message.locator(".mes_edit_delete").click()
        self.page.locator("dialog.popup[open] .popup-button-ok").click()
        self.page.wait_for_function("n => SillyTavern.getContext().chat.length === n", arg=left)
        self.await_rest()

    def hide(self, index: int) -> None:
        """Keep message `index` out of prompts."""
        self._message(index).locator(".mes_hide").click()
        self._await_hidden(index, True)

    def unhide(self, index: int) -> None:
        self._message(index).locator(".mes_unhide").click()
        self._await_hidden(index, False)

    # settings

    def set_post_processing(self, mode: str) -> None:
        """Prompt post-processing: "", merge, semi, strict, single (and the _tools variants)."""
        self.page.locator("#custom_prompt_post_processing").select_option(mode, force=True)

    def set_streaming(self, on: bool) -> None:
        self.page.evaluate("on => $('#stream_toggle').prop('checked', on).trigger('change')", on)

    # waiting

    @contextmanager
    def generating(self) -> Iterator[None]:
        """Await that a generation begun within the block has ended."""
        before = self.page.evaluate("browserTest.ended")
        yield
        self.page.wait_for_function("n => browserTest.ended > n && browserTest.idle()", arg=before)

    def await_rest(self) -> None:
        self.page.wait_for_function("browserTest.idle()")

    @contextmanager
    def _opening(self) -> Iterator[None]:
        before = self.page.evaluate("browserTest.opened")
        yield
        self.page.wait_for_function(
            "n => browserTest.opened > n && browserTest.idle() && SillyTavern.getContext().chat.length > 0",
            arg=before,
        )

    def _await_hidden(self, index: int, hidden: bool) -> None:
        self.page.wait_for_function(
            "([at, hidden]) => SillyTavern.getContext().chat[at].is_system === hidden && browserTest.idle()",
            arg=[index, hidden],
        )

    def _swipe(self, arrow: Locator) -> None:
        before = self.page.evaluate("SillyTavern.getContext().chat.at(-1).swipe_id")
        arrow.click()
        self.page.wait_for_function(
            "n => SillyTavern.getContext().chat.at(-1).swipe_id !== n && browserTest.idle()", arg=before
        )

    def _message(self, index: int) -> Locator:
        return self.page.locator(f'#chat .mes[mesid="{index}"]')

    def _option(self, name: str) -> None:
        self.page.locator("#options_button").click()
        self.page.locator(f"#{name}").click()
