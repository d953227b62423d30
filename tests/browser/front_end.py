"""Drives SillyTavern's page as its user does, and reads the chat that the page holds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page

from tests.browser.rest import Rest

CHAT = """() => SillyTavern.getContext().chat.map(m => ({
    role: m.extra?.type === 'narrator' ? 'system' : m.is_user ? 'user' : 'assistant',
    name: m.name, text: m.mes.trim(), hidden: Boolean(m.is_system),
}))"""
SELECT = """name => {
    const context = SillyTavern.getContext();
    return context.selectCharacterById(context.characters.findIndex(c => [c.name, c.avatar].includes(name)));
}"""
IS_OPEN = """name => {
    const { characters, characterId, groupId } = SillyTavern.getContext();
    const { name: own, avatar } = characters[characterId] ?? {};
    return !groupId && [own, avatar].includes(name);
}"""
DUPLICATE = """async () => {
    const { duplicateCharacter } = await import('/script.js');
    return duplicateCharacter({ silent: true });
}"""
ASK = """async ([path, body]) => {
    const headers = SillyTavern.getContext().getRequestHeaders();
    const answer = await fetch(path, { method: 'POST', headers, body: JSON.stringify(body) });
    return await answer.json();
}"""
DELETE = """async name => {
    const { deleteCharacter } = await import('/script.js');
    const { avatar } = SillyTavern.getContext().characters.find(c => [c.name, c.avatar].includes(name));
    await deleteCharacter(avatar, { deleteChats: true });
}"""
ROLE = """([identifier, role]) => {
    const { prompts } = SillyTavern.getContext().chatCompletionSettings;
    prompts.find(prompt => prompt.identifier === identifier).role = role;
}"""
COMMAND = """async line => {
    const { pipe } = await SillyTavern.getContext().executeSlashCommandsWithOptions(line);
    return pipe;
}"""

POST_PROCESSING = ["merge", "semi", "strict", "single"]
"""SillyTavern's prompt post-processing, from mild to strong."""


@dataclass(frozen=True, slots=True)
class Line:
    """One message as SillyTavern holds it; hidden ones are not sent."""

    role: str
    name: str
    text: str
    hidden: bool


class FrontEnd:
    """SillyTavern's page. Actions return when it is at rest again, unless they say otherwise."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.rest = Rest(page)
        self._url = url
        self.load()

    def load(self) -> None:
        """Load the page anew and await that it is connected; no chat is open then."""
        self.page.goto(self._url, wait_until="domcontentloaded")
        self.rest.watch()

    def chat(self) -> list[Line]:
        """Every message of the open chat, oldest first."""
        return [Line(**line) for line in self.page.evaluate(CHAT)]

    def chat_id(self) -> str:
        """SillyTavern's own id of the open chat: its file's name, or a group chat's id."""
        return str(self.page.evaluate("SillyTavern.getContext().getCurrentChatId()"))

    def draft(self) -> str:
        """What stands in the input box."""
        return self.page.locator("#send_textarea").input_value()

    def complaint(self) -> str:
        """The newest error that the page shows."""
        return self.page.locator("#toast-container .toast-error .toast-message").first.inner_text()

    def picture(self, path: Path) -> None:
        """Save what the page looks like."""
        self.page.screenshot(path=path)

    # characters and chats

    def import_card(self, card: dict[str, Any]) -> None:  # Any: a character card
        """Import a card (V2, JSON) through the page's own file input."""
        name = card["data"]["name"]
        content = json.dumps(card).encode()
        self.page.locator("#character_import_file").set_input_files(
            {"name": f"{name}.json", "mimeType": "application/json", "buffer": content}
        )
        self.rest.until("name => SillyTavern.getContext().characters.some(c => c.name === name)", name)

    def open_character(self, name: str) -> None:
        """Open a character's most recent chat, by name or avatar; nothing happens when it is open."""
        if not self.page.evaluate(IS_OPEN, name):
            with self.rest.opened(noted=False):
                self.page.evaluate(SELECT, name)

    def duplicate_character(self) -> str:
        """Duplicate the open character; the new one's avatar."""
        return str(self.page.evaluate(DUPLICATE))

    def new_chat(self) -> None:
        """Begin a new chat with the open character or group."""
        with self.rest.opened():
            self._option("option_start_new_chat")
            self._confirm()

    def new_group(self, title: str, *names: str) -> None:
        """Make a group in which everyone answers each message and open its chat."""
        if self.page.locator("#right-nav-panel.closedDrawer").count():
            self.page.locator("#rightNavDrawerIcon").click()
        self.page.locator("#rm_button_characters").click()
        self.page.locator("#rm_button_group_chats").click()
        self.page.fill("#rm_group_chat_name", title)
        self.page.locator("#rm_group_activation_strategy").select_option(label="List order")
        candidates = self._candidates()
        for name in names:
            candidates.filter(has_text=name).locator("[data-action=add]").click()
        self.page.locator("#rm_group_submit").click()
        with self.rest.opened():
            self.page.locator(".group_select").filter(has_text=title).click()

    def _candidates(self) -> Locator:
        """The characters that a new group may be made of; SillyTavern folds their list every other time."""
        self.rest.until("!$('#unaddedCharList').parent().is(':animated')")
        if not self.page.locator("#unaddedCharList").is_visible():
            self.page.locator("#groupAddMemberListToggle").click()
        return self.page.locator("#rm_group_add_members .group_member")

    def branch(self, index: int) -> None:
        """Branch off after message `index` and open the branch."""
        with self.rest.opened():
            self._message(index).locator(".mes_create_branch").click()

    def back_to_main_chat(self) -> None:
        """From a branch to the chat that it left."""
        with self.rest.opened():
            self._option("option_back_to_main")

    def rename_recent_chat(self, name: str, new: str) -> None:
        """Close the open chat and rename one of those that are listed then."""
        self._recent(name).locator(".renameChat").click()
        self.page.locator("dialog.popup[open] .popup-input").fill(new)
        self._confirm()
        self.page.get_by_text("Chat renamed.").wait_for()

    def delete_chat(self) -> None:
        """Delete the open chat; SillyTavern opens another one."""
        with self.rest.opened():
            self.command("/delchat")

    def delete_recent_chat(self, name: str) -> None:
        """Close the open chat and delete one of those that are listed then."""
        self._recent(name).locator(".deleteChat").click()
        self._confirm()
        self.page.get_by_text("Chat deleted.").wait_for()

    def _recent(self, name: str) -> Locator:
        self.command("/closechat")
        self.rest.welcomed()
        return self.page.locator(f'.recentChat[data-file="{name}"]')

    def delete_character(self, name: str) -> None:
        """Delete a character, by name or avatar, with all of its chats."""
        self.page.evaluate(DELETE, name)

    # generations

    def type(self, text: str) -> None:
        """Fill the input box."""
        self.page.fill("#send_textarea", text)

    def begin(self, text: str) -> None:
        """Send a message; does not await the reply."""
        self.type(text)
        self.page.locator("#send_but").click()

    def send(self, text: str) -> None:
        """Send a message and await the reply, or the replies of a group."""
        with self.rest.generated():
            self.begin(text)

    def stop_after(self, text: str) -> None:
        """Press the stop button once the reply under way ends with `text`."""
        self.rest.streamed(text)
        self.stop()

    def stop(self) -> None:
        """Press the stop button."""
        with self.rest.generated():
            self.page.locator("#mes_stop").click()

    def swipe_right(self) -> None:
        """To the next reply, which is generated when there is none yet."""
        is_newest = self.page.evaluate("browserTest.last().swipe_id + 1 >= browserTest.last().swipes.length")
        with self.rest.generated() if is_newest else self.rest.swiped():
            self.page.locator(".last_mes .swipe_right").click()

    def swipe_left(self) -> None:
        """Back to the reply before."""
        with self.rest.swiped():
            self.page.locator(".last_mes .swipe_left").click()

    def regenerate(self) -> None:
        """Have the last reply written anew."""
        with self.rest.generated():
            self._option("option_regenerate")

    def continue_reply(self) -> None:
        """Have the last message written on."""
        with self.rest.generated():
            self._option("option_continue")

    def impersonate(self) -> None:
        """Have the user's next message written into the input box."""
        with self.rest.generated():
            self._option("option_impersonate")

    def generate_in_every_way(self) -> list[str]:
        """A request of each type that SillyTavern has, in this order; the types."""
        self.send("Good evening.")
        self.swipe_right()
        self.regenerate()
        self.continue_reply()
        self.impersonate()
        self.command("/gen Describe the weather.")
        self.command("/genraw Describe the weather.")
        return ["normal", "swipe", "regenerate", "continue", "impersonate", "quiet", "raw"]

    def test_message(self) -> None:
        """Have the connection tested."""
        with self._drawer("#sys-settings-button", "#rm_api_block"):
            with self.page.expect_response("**/api/backends/chat-completions/generate"):
                self.page.locator("#test_api_button").click()

    def command(self, line: str) -> str:
        """Run a slash command; its result."""
        result = str(self.page.evaluate(COMMAND, line))
        self.rest.idle()
        return result

    # messages

    def edit(self, index: int, text: str) -> None:
        """Replace the text of message `index`."""
        message = self._message(index)
        message.locator(".mes_edit").click()
        self.page.fill("#curEditTextarea", text)
        message.locator(".mes_edit_done").click()
        self.page.wait_for_selector("#curEditTextarea", state="detached")
        self.rest.idle()

    def delete_from(self, index: int) -> None:
        """Delete message `index` and all after it."""
        self._option("option_delete_mes")
        self._message(index).locator(".del_checkbox").click()
        self.page.locator("#dialogue_del_mes_ok").click()
        self.rest.length(index)

    def delete_last(self) -> None:
        """Delete the last message."""
        self.delete_from(len(self.chat()) - 1)

    def delete_one(self, index: int) -> None:
        """Delete message `index` alone."""
        left = len(self.chat()) - 1
        message = self._message(index)
        message.locator(".mes_edit").click()
        message.locator(".mes_edit_delete").click()
        self._confirm()
        self.rest.length(left)

    def hide(self, index: int) -> None:
        """Keep message `index` out of prompts."""
        self._message(index).locator(".mes_hide").click()
        self.rest.hidden(index, True)

    def unhide(self, index: int) -> None:
        """Let message `index` into prompts again."""
        self._message(index).locator(".mes_unhide").click()
        self.rest.hidden(index, False)

    # settings

    def set_endpoint(self, url: str) -> None:
        """Where requests go: the Custom Endpoint."""
        self.page.evaluate("url => $('#custom_api_url_text').val(url).trigger('input')", url)

    def include(self, yaml: str) -> None:
        """Type Include Body Parameters, where users do."""
        with self._drawer("#sys-settings-button", "#rm_api_block"):
            self.page.locator("#customize_additional_parameters").click()
            self.page.fill("#custom_include_body", yaml)
            self._confirm()
            self.page.locator("#custom_include_body").wait_for(state="detached")

    def install_extension(self, url: str) -> None:
        """Install an extension from a git address, as users do."""
        with self._drawer("#extensions-settings-button", "#rm_extensions_block"):
            self.page.locator("#third_party_extension_button").click()
            self.page.locator("dialog.popup[open] .popup-input").fill(url)
            self._confirm()
            self.page.get_by_text("Yes, install it").click()
            self.page.locator("#toast-container .toast-success").first.wait_for()

    def ask(self, path: str, body: dict[str, Any]) -> dict[str, Any]:  # Any: JSON
        """What SillyTavern's own server answers its page."""
        return dict(self.page.evaluate(ASK, [path, body]))

    @contextmanager
    def extensions_panel(self, name: str) -> Iterator[Locator]:
        """An extension's settings, unfolded."""
        with self._drawer("#extensions-settings-button", "#rm_extensions_block"):
            panel = self.page.locator("#extensions_settings2 .inline-drawer").filter(has_text=name)
            panel.locator(".inline-drawer-toggle").click()
            yield panel
            panel.locator(".inline-drawer-toggle").click()

    @contextmanager
    def _drawer(self, button: str, drawer: str) -> Iterator[None]:
        """One of the drawers at the top, open."""
        if self.page.locator(f"{drawer}.closedDrawer").count():
            self.page.locator(f"{button} .drawer-toggle").click()
        yield
        self.page.locator(f"{button} .drawer-toggle").click()

    def set_post_processing(self, mode: str) -> None:
        """Prompt post-processing: merge, semi, strict or single (or with `_tools`); empty for none."""
        self.page.evaluate("mode => $('#custom_prompt_post_processing').val(mode).trigger('change')", mode)

    def set_prompt_role(self, identifier: str, role: str) -> None:
        """The role of one of the preset's prompts: main, jailbreak (post-history instructions), ..."""
        self.page.evaluate(ROLE, [identifier, role])

    def set_streaming(self, on: bool) -> None:
        """Whether replies are streamed."""
        self.page.evaluate("on => $('#stream_toggle').prop('checked', on).trigger('change')", on)

    def _message(self, index: int) -> Locator:
        return self.page.locator(f'#chat .mes[mesid="{index}"]')

    def _option(self, name: str) -> None:
        self.page.locator("#options_button").click()
        self.page.locator(f"#{name}").click()

    def _confirm(self) -> None:
        self.page.locator("dialog.popup[open] .popup-button-ok").click()
