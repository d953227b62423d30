/** Which messages of a prompt are the chat's, and which SillyTavern put between them in a speaker's role. */

const SPEAKERS = ['user', 'assistant'];
/** What SillyTavern calls the chat's messages, and what it injects among them; all else is a prompt of its own. */
const OF_THE_CHAT = /^(chatHistory-|toolCall-|continuePrefill$)/;

export class Said {
    #chat = null;
    #nobodys = new WeakSet();
    #shown = new WeakMap();

    /** A prompt is being made of these messages; other extensions may still take some away. */
    prompted(chat) {
        this.#chat = chat;
    }

    /**
     * CHAT_COMPLETION_PROMPT_READY: looks through a prompt that was made of the chat.
     * @param data `chat`, the prompt's messages, and `dryRun`
     * @param parts `formatted(chat)`: the chat's messages as SillyTavern sends them, oldest first;
     *     `identifiers()`: its own name of each message of the prompt; `isIgnored(message)`: whether an extension
     *     keeps a message of the chat out of prompts
     */
    ready({ chat, dryRun }, parts) {
        if (dryRun || !this.#chat) {
            return;
        }
        const said = parts.formatted(this.#chat);
        if (chat.length && showsAll(chat, said)) {
            const visible = this.#chat.filter((message) => !parts.isIgnored(message)).length;
            this.#shown.set(chat[0], { visible, rows: [...chat] });
        }
        this.#chat = null;
        const names = parts.identifiers();
        const foreign = chat.map((_, n) => names.length === chat.length && !isOfTheChat(names[n]));
        for (const n of nobodys(chat, said, foreign)) {
            this.#nobodys.add(chat[n]);
        }
    }

    /** Whether a prompt shows a chat of so many visible messages from its first one on: nothing fell out of it. */
    isWhole(messages, visible) {
        const shown = this.#shown.get(messages?.[0]);
        const there = new Set(messages);
        return shown?.visible === visible && shown.rows.every((row) => there.has(row));
    }

    /**
     * Place and text of what nobody said. System messages say for themselves that they are none, unless
     * post-processing is going to glue them to what was said.
     */
    injected(messages, isProcessed) {
        const known = (messages ?? []).map((message) => this.#nobodys.has(message));
        const first = messages?.findIndex((message, n) => SPEAKERS.includes(message.role) && !known[n]) ?? -1;
        const glued = (n) => isProcessed && first >= 0 && n > first;
        return (messages ?? []).flatMap((message, n) => {
            const told = SPEAKERS.includes(message.role) ? known[n] : message.role === 'system' && glued(n);
            const text = textOf(message.content);
            return told && text.trim() ? [[n, text]] : [];
        });
    }
}

/**
 * Indices of a prompt's messages that are none of the chat's. Where a message of the chat is missing, as when
 * another extension rewrote it, those in its place may be it, and are left alone.
 * @param rows the prompt's messages
 * @param said the chat's messages, of which the oldest may have fallen out
 * @param foreign for each row whether it is known to be none of the chat's
 */
export function nobodys(rows, said, foreign) {
    const chat = said.filter(({ role }) => SPEAKERS.includes(role)).map(keyOf);
    const oldest = new Map();
    const candidates = rows.flatMap((row, n) => (SPEAKERS.includes(row.role) && !foreign[n] ? [n] : []));
    candidates.toReversed().forEach((n) => oldest.set(keyOf(rows[n]), n));
    const found = rows.flatMap((row, n) => (SPEAKERS.includes(row.role) && foreign[n] ? [n] : []));
    let next = chat.length - 1;
    let doubtful = false;
    let between = [];
    for (const n of candidates.toReversed()) {
        while (next >= 0 && !((oldest.get(chat[next]) ?? rows.length) <= n)) {
            next -= 1;
            doubtful = true;
        }
        if (next >= 0 && chat[next] === keyOf(rows[n])) {
            found.push(...(doubtful ? [] : between));
            [between, doubtful, next] = [[], false, next - 1];
        } else {
            between.push(n);
        }
    }
    return [...found, ...(doubtful || next >= 0 ? [] : between)];
}

/** Whether a prompt holds all of the chat's messages, in their order. */
export function showsAll(rows, said) {
    const shown = rows.map(keyOf);
    let next = 0;
    return said.filter(({ role }) => SPEAKERS.includes(role)).every((message) => {
        next = shown.indexOf(keyOf(message), next) + 1;
        return next > 0;
    });
}

function isOfTheChat(identifier) {
    return identifier === undefined || OF_THE_CHAT.test(identifier);
}

function keyOf({ role, content }) {
    return `${role}\n${textOf(content)}`;
}

function textOf(content) {
    const parts = Array.isArray(content) ? content : [{ type: 'text', text: content }];
    return parts.filter((part) => part?.type === 'text').map((part) => String(part.text ?? '')).join('\n');
}
