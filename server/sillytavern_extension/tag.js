/** What a request is told about its chat, and how that gets into the user's own YAML. */

const KINDS = {
    normal: 'normal',
    regenerate: 'regenerate',
    swipe: 'swipe',
    append: 'append',
    appendFinal: 'append',
    continue: 'continue',
    impersonate: 'impersonate',
    quiet: 'quiet',
};

/** Which prompts SillyTavern has built; weak, so that nothing outlives its request. */
export class Prompts {
    #full = new WeakSet();
    #raw = new WeakSet();

    /** GENERATE_AFTER_DATA: a prompt made of card, lore and chat. */
    full({ prompt }) {
        this.#remember(this.#full, prompt);
    }

    /** CHAT_COMPLETION_PROMPT_READY: any prompt, /genraw's and raw Summarize's included. */
    ready({ chat }) {
        this.#remember(this.#raw, chat);
    }

    /** The kind of a request: SillyTavern calls raw prompts and its connection test `quiet` too. */
    kind({ type, messages }) {
        if (type !== 'quiet' || this.#full.has(messages?.[0])) {
            return KINDS[type] ?? 'normal';
        }
        const [first, ...rest] = messages ?? [];
        const isTest = !rest.length && first?.role === 'user' && first?.content === 'Hi';
        return isTest && !this.#raw.has(first) ? 'test' : 'raw';
    }

    #remember(set, messages) {
        if (messages?.[0] instanceof Object) {
            set.add(messages[0]);
        }
    }
}

/** The card's file of the open character, which tells those of one name apart; a group's chat is no character's. */
export function avatarOf({ groupId, characters, characterId }) {
    return (!groupId && characters?.[characterId]?.avatar) || '';
}

/**
 * The tag of a request; what is not known is left out. `chat_file` is no twin of `chat_id`: the user's own
 * parameters may name the chat otherwise, and only a file's name is never a branch's too.
 */
export function tagOf(data, chatId, kind, { injected = [], avatar = '', isWhole = false } = {}) {
    const tag = {
        chat_id: chatId,
        chat_file: chatId,
        kind,
        character: data.char_name,
        avatar,
        user_name: data.user_name,
        group_members: data.group_names,
        injected,
        window: isWhole ? 'whole' : '',
    };
    return Object.fromEntries(Object.entries(tag).filter(([, value]) => value?.length));
}

/**
 * The user's "Include Body Parameters" with our metadata added. All of their keys win over ours.
 * SillyTavern reads the text as YAML, and JSON is YAML: what it will send of theirs stays the same. Where it
 * would send nothing of theirs (text that is no YAML, or neither mapping nor list), only ours is sent.
 */
export function withTag(text, tag, parse) {
    const theirs = parameters(text, parse);
    const metadata = Object.hasOwn(theirs, 'metadata') ? theirs.metadata : {};
    if (!isMapping(metadata)) {
        return text;
    }
    return JSON.stringify({ ...theirs, metadata: { ...tag, ...metadata } });
}

/**
 * What the user's own parameters, macros filled in, say of a request's chat: `chat_id`, `character`, `avatar` and
 * `user_name`, as far as they do. Our server takes the header X-Chat-Id before the body's id.
 */
export function toldByUser(body, headers, parse) {
    const { metadata } = parameters(body, parse);
    const own = isMapping(metadata) ? { ...metadata } : {};
    for (const [name, value] of Object.entries(parameters(headers, parse))) {
        own.chat_id = (name.toLowerCase() === 'x-chat-id' && word(value)) || own.chat_id;
    }
    const told = ['chat_id', 'character', 'avatar', 'user_name'].map((name) => [name, word(own[name])]);
    return Object.fromEntries(told.filter(([, value]) => value));
}

/** A value as our server reads it: what is no text, or a macro that was not filled in, says nothing. */
function word(value) {
    const text = typeof value === 'string' || Number.isInteger(value) ? String(value).trim() : '';
    return text.includes('{{') ? '' : text;
}

/** What SillyTavern's server makes of the text. */
function parameters(text, parse) {
    let parsed;
    try {
        parsed = parse(text ?? '');
    } catch {
        return {};
    }
    const items = Array.isArray(parsed) ? parsed : [parsed];
    return Object.assign({}, ...items.filter(isMapping));
}

function isMapping(value) {
    return typeof value === 'object' && value !== null && !Array.isArray(value);
}
