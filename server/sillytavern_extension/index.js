/** SillyTavern's side of Emotional RAG: tags requests with their chat, and tells of changes when they happen. */

import { hiddenCount, isIgnored, named, signature, visibleChat, visibleCount } from './chat.js';
import { endpoint, Reporter } from './report.js';
import { Said } from './said.js';
import { avatarOf, Prompts, tagOf, toldByUser, withTag } from './tag.js';
import { WholeChats } from './whole.js';

const KEY = 'emotional_rag';
const DEFAULTS = { tag: true, report: true, forget: true };
const LOOK_MS = 1_000;
/** SillyTavern tells of no hiding, nor of what other extensions and scripts do to a chat. */

const FOLDER = new URL('.', import.meta.url).pathname.split('/').at(-2);
const EVENTS = {
    MESSAGE_SWIPED: 'swipe',
    MESSAGE_SWIPE_DELETED: 'swipe',
    MESSAGE_EDITED: 'edit',
    MESSAGE_UPDATED: 'edit',
    MESSAGE_DELETED: 'delete',
    GENERATION_ENDED: 'reply',
    CHAT_CHANGED: 'open',
};

const context = () => SillyTavern.getContext();
const settings = () => Object.assign({ ...DEFAULTS }, context().extensionSettings[KEY]);
const isOurs = ({ mainApi, chatCompletionSettings }) =>
    mainApi === 'openai' && chatCompletionSettings.chat_completion_source === 'custom';

const prompts = new Prompts();
const said = new Said();
const reporter = new Reporter(look, showStatus);
const wholeChats = new WholeChats(context, tellWhole);
let yaml;
let prompting = { regexed: (text) => text, withFiles: (_message, text) => text };
let parts = null;
/** The chat as it was when it was last told, or is about to be. */
let last = { signature: '', hidden: 0 };
/** The chat that is open; while another one loads, ids and messages do not belong together. */
let opened;

/** SillyTavern calls this once, when everything else is loaded. */
export async function activate() {
    ({ yaml } = await import('../../../../lib.js'));
    prompting = await promptParts();
    parts = await chatParts();
    const { eventSource, eventTypes } = context();
    eventSource.on(eventTypes.GENERATE_AFTER_DATA, (data) => prompts.full(data));
    eventSource.on(eventTypes.CHAT_COMPLETION_PROMPT_READY, (data) => {
        prompts.ready(data);
        if (parts) {
            said.ready(data, parts);
        }
    });
    eventSource.makeLast(eventTypes.CHAT_COMPLETION_SETTINGS_READY, beforeRequest);
    opened = context().getCurrentChatId();
    eventSource.on(eventTypes.CHAT_CHANGED, (id) => {
        opened = id;
        wholeChats.opened();
    });
    watchWholeChats(eventSource, eventTypes);
    for (const [name, type] of Object.entries(EVENTS)) {
        eventSource.on(eventTypes[name], () => notice(type));
    }
    setInterval(lookAround, LOOK_MS);
    await showPanel();
}

function watchWholeChats(eventSource, eventTypes) {
    document.addEventListener('click', (event) => wholeChats.clicked(event), true);
    eventSource.on(eventTypes.CHAT_RENAMED, (data) => wholeChats.renamed(data));
    eventSource.on(eventTypes.CHARACTER_RENAMED, (...avatars) => wholeChats.characterRenamed(...avatars));
    const deletions = {
        CHAT_DELETED: (name) => wholeChats.deleted(name),
        GROUP_CHAT_DELETED: (name) => wholeChats.groupChatDeleted(name),
        CHARACTER_DELETED: (data) => wholeChats.characterDeleted(data),
    };
    for (const [name, listener] of Object.entries(deletions)) {
        eventSource.on(eventTypes[name], (value) => settings().forget && listener(value));
    }
}

/** How SillyTavern makes a prompt's text of a message; without these modules it is taken as it stands. */
async function promptParts() {
    try {
        const [{ getRegexedString }, { appendFileContent }] = await Promise.all([
            import('../../regex/engine.js'),
            import('../../../chats.js'),
        ]);
        return { regexed: getRegexedString, withFiles: appendFileContent };
    } catch (error) {
        console.info('[Emotional RAG] messages are told as they stand:', error);
        return prompting;
    }
}

/** SillyTavern calls this, by its name in the manifest, with the chat that it makes a prompt of. */
globalThis.emotionalRagPrompted = (chat) => said.prompted(chat);

/** How the chat stands in a prompt (see Said); null where this SillyTavern does not tell. */
async function chatParts() {
    try {
        const openai = await import('../../../openai.js');
        return {
            formatted: (chat) => openai.setOpenAIMessages(chat).filter(Boolean).reverse()
                .map((message) => ({ ...message, content: named(message.content, context()) })),
            identifiers: () => openai.promptManager.messages.flatten()
                .filter((message) => message.content || message.tool_calls)
                .map((message) => message.identifier),
            isIgnored: (message) => isIgnored(message, context()),
        };
    } catch (error) {
        console.info('[Emotional RAG] notes in a speaker\'s role cannot be told from the chat:', error);
        return null;
    }
}

/** CHAT_COMPLETION_SETTINGS_READY: the last word on a request, after every other extension. */
async function beforeRequest(data) {
    if (data.chat_completion_source !== 'custom') {
        return;
    }
    await reporter.yield();
    if (settings().tag) {
        const chatId = context().getCurrentChatId();
        const injected = said.injected(data.messages, Boolean(data.custom_prompt_post_processing));
        const isWhole = said.isWhole(data.messages, visibleCount(context(), data.type));
        const more = { injected, avatar: avatarOf(context()), isWhole };
        const tag = tagOf(data, chatId, prompts.kind(data), more);
        data.custom_include_body = withTag(data.custom_include_body, tag, yaml.parse);
    }
}

function notice(type) {
    if (settings().report) {
        last = standing();
        reporter.notice(type);
    }
}

function tellWhole(find) {
    const server = endpoint(context().chatCompletionSettings.custom_url);
    if (settings().report && isOurs(context()) && server) {
        reporter.whole(server.base, find);
    }
}

function standing() {
    return { signature: signature(context()), hidden: hiddenCount(context()) };
}

function lookAround() {
    if (signature(context()) !== last.signature) {
        const more = hiddenCount(context()) - last.hidden;
        notice(more > 0 ? 'hide' : more < 0 ? 'unhide' : 'change');
    }
}

/** What there is to tell (see Reporter). */
async function look() {
    const now = context();
    const server = endpoint(now.chatCompletionSettings.custom_url);
    if (!isOurs(now) || !server || !opened || now.getCurrentChatId() !== opened || !now.chat.length) {
        return null;
    }
    if (document.body.dataset.generating) {
        return 'later';
    }
    last = standing();
    const messages = await visibleChat(now, prompting);
    if (standing().signature !== last.signature) {
        return 'later';
    }
    const { chat_id, ...own } = ownTag(now);
    const named = { character: now.name2, avatar: avatarOf(now), user_name: now.name1, ...own };
    const who = now.groupId ? { ...named, character: '', avatar: '' } : named;
    const chat = { messages, chat_file: opened, ...who, is_group: Boolean(now.groupId) };
    return { base: server.base, chatId: server.chatId || chat_id || opened, ...chat };
}

/** What the user's own parameters tell in each request: events must mean the same chat. */
function ownTag({ chatCompletionSettings, substituteParams }) {
    const { custom_include_body: body, custom_include_headers: headers } = chatCompletionSettings;
    const filled = (text) => (/metadata|x-chat-id/i.test(text) ? substituteParams(text) : '');
    return toldByUser(filled(body), filled(headers), yaml.parse);
}

async function showPanel() {
    const html = await context().renderExtensionTemplateAsync(`third-party/${FOLDER}`, 'settings');
    document.getElementById('extensions_settings2')?.insertAdjacentHTML('beforeend', html);
    for (const name of Object.keys(DEFAULTS)) {
        const box = document.getElementById(`emotional_rag_${name}`);
        if (box) {
            box.checked = settings()[name];
            box.addEventListener('change', () => {
                context().extensionSettings[KEY] = { ...settings(), [name]: box.checked };
                context().saveSettingsDebounced();
            });
        }
    }
}

function showStatus(text) {
    const place = document.getElementById('emotional_rag_status');
    if (place) {
        place.textContent = text;
    }
}
