/** A small SillyTavern: its context, its events and its page, as far as an extension touches them. */

import http from 'node:http';

class Events {
    #listeners = {};

    on(name, listener) {
        (this.#listeners[name] ??= []).push(listener);
    }

    makeLast(name, listener) {
        this.on(name, listener);
    }

    async emit(name, ...values) {
        for (const listener of this.#listeners[name] ?? []) {
            await listener(...values);
        }
    }
}

const NAMES = [
    'GENERATE_AFTER_DATA', 'CHAT_COMPLETION_PROMPT_READY', 'CHAT_COMPLETION_SETTINGS_READY', 'MESSAGE_SWIPED',
    'MESSAGE_SWIPE_DELETED', 'MESSAGE_EDITED', 'MESSAGE_UPDATED', 'MESSAGE_DELETED', 'GENERATION_ENDED',
    'CHAT_CHANGED', 'CHAT_RENAMED', 'CHAT_DELETED', 'GROUP_CHAT_DELETED', 'CHARACTER_RENAMED', 'CHARACTER_DELETED',
];

/** Puts a page and an open chat around the extension; `given` replaces parts of the context. */
export function open(given = {}) {
    const context = {
        mainApi: 'openai',
        name1: 'Alex',
        name2: 'Mira',
        groupId: null,
        chatId: 'Mira - 2026-11-22@10h04m05s',
        chat: [],
        characters: [{ name: 'Mira', avatar: 'Mira.png' }, { name: 'Bram', avatar: 'Bram.png' }],
        characterId: '0',
        symbols: { ignore: Symbol('ignore') },
        extensionSettings: {},
        chatCompletionSettings: { chat_completion_source: 'custom', custom_url: '' },
        eventSource: new Events(),
        eventTypes: Object.fromEntries(NAMES.map((name) => [name, name.toLowerCase()])),
        saveSettingsDebounced() { },
        substituteParams: (text) => text.replaceAll('{{char}}', 'Mira'),
        getRequestHeaders: () => ({}),
        renderExtensionTemplateAsync: async (name, template) => `<!-- ${name}/${template} -->`,
        getCurrentChatId() { return this.chatId; },
        ...given,
    };
    globalThis.SillyTavern = { getContext: () => context };
    globalThis.document = {
        body: { dataset: {} },
        getElementById: () => null,
        addEventListener(_name, listener) { this.click = listener; },
    };
    return context;
}

export const message = (name, mes, more = {}) => ({ name, is_user: name === 'Alex', is_system: false, mes, ...more });

/** Our server, as far as the extension talks to it; `answers` is called with each event, `hello` is for the rest. */
export async function listen(
    answers = () => [200, { object: 'session.event', id: 'x', messages: 1 }],
    hello = [200, { object: 'session.events', known: true }],
    port = 0,
) {
    const seen = [];
    const waiting = [];
    let asked;
    const server = http.createServer(async (request, response) => {
        const parts = [];
        for await (const part of request) {
            parts.push(part);
        }
        const event = parts.length ? JSON.parse(Buffer.concat(parts)) : null;
        asked();
        const [status, body] = event ? await answers(event, seen.length) : hello;
        response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
        seen.push({ method: request.method, path: request.url, event });
        waiting.splice(0).forEach((wake) => wake());
    });
    await new Promise((ready) => server.listen(port, '127.0.0.1', ready));
    return {
        url: `http://127.0.0.1:${server.address().port}/v1`,
        events: () => seen.filter(({ event }) => event).map(({ event, path }) => ({ ...event, path })),
        async told(count) {
            while (this.events().length < count) {
                await new Promise((wake) => waiting.push(wake));
            }
            return this.events();
        },
        seen,
        /** Fulfilled by the first request. */
        asked: new Promise((wake) => { asked = wake; }),
        close: () => { server.closeAllConnections(); server.close(); },
    };
}
