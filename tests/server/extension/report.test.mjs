/** The extension in a small SillyTavern, over a real connection; run by tests/server/test_extension.py. */

import assert from 'node:assert/strict';
import { after, before, beforeEach, mock, test } from 'node:test';

import { listen, message, open } from './sillytavern.mjs';

mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
const { endpoint } = await import(`${process.env.EXTENSION}/report.js`);
const { signature, visibleChat } = await import(`${process.env.EXTENSION}/chat.js`);
const plain = { regexed: (text) => text, withFiles: async (_message, text) => text };

let context;
let server;

const emit = (name, ...values) => context.eventSource.emit(name.toLowerCase(), ...values);
/** Time passes when a test says so: long enough to tell what happened. */
const calm = () => mock.timers.tick(200);
/** Long enough to look around, and to tell what was seen. */
const look = () => { mock.timers.tick(1_000); calm(); };

/** Ends when everything is told, for a request goes out only then. */
async function request(given = {}) {
    const data = { type: 'normal', chat_completion_source: 'custom', messages: [], custom_include_body: '', ...given };
    await emit('CHAT_COMPLETION_SETTINGS_READY', data);
    return data;
}

before(async () => {
    context = open();
    server = await listen();
    context.chatCompletionSettings.custom_url = server.url;
    context.chat.push(message('Mira', 'You are late.'), message('Alex', 'Good evening.'), message('Mira', 'Evening.'));
    await (await import(`${process.env.EXTENSION}/index.js`)).activate();
});

after(() => server.close());

beforeEach(async () => {
    context.extensionSettings = {};
    await request();
    server.seen.length = 0;
    await emit('CHAT_CHANGED', context.chatId);
    calm();
    await server.told(1);
    server.seen.length = 0;
});

test('a change is told with the visible chat, to the chat\'s own address', async () => {
    context.chat[2] = message('Mira', 'Good evening, Alex.', { swipe_id: 1 });
    await emit('MESSAGE_SWIPED', 2);
    calm();
    const [event] = await server.told(1);
    assert.deepEqual(event, {
        type: 'swipe',
        path: '/v1/sessions/Mira%20-%202026-11-22%4010h04m05s/events',
        character: 'Mira',
        avatar: 'Mira.png',
        user_name: 'Alex',
        is_group: false,
        chat_file: context.chatId,
        messages: [
            { role: 'assistant', name: 'Mira', content: 'You are late.' },
            { role: 'user', name: 'Alex', content: 'Good evening.' },
            { role: 'assistant', name: 'Mira', content: 'Good evening, Alex.' },
        ],
    });
});

test('many changes at once are told once', async () => {
    for (const text of ['One.', 'Two.', 'Three.']) {
        context.chat[2].mes = text;
        await emit('MESSAGE_EDITED', 2);
        await emit('MESSAGE_UPDATED', 2);
    }
    calm();
    await request();
    assert.deepEqual(server.events().map(({ type, messages }) => [type, messages[2].content]), [['edit', 'Three.']]);
});

test('nothing is told where nothing changed', async () => {
    await emit('MESSAGE_UPDATED', 2);
    calm();
    await request();
    assert.equal(server.events().length, 0);
});

test('hiding, which SillyTavern tells nobody of, is seen', async () => {
    context.chat[1].is_system = true;
    look();
    const [hidden] = await server.told(1);
    assert.deepEqual([hidden.type, hidden.messages.length], ['hide', 2]);
    context.chat[1].is_system = false;
    look();
    const [, shown] = await server.told(2);
    assert.deepEqual([shown.type, shown.messages.length], ['unhide', 3]);
});

test('a deletion is told', async () => {
    const [gone] = context.chat.splice(2, 1);
    await emit('MESSAGE_DELETED', 2);
    calm();
    const [event] = await server.told(1);
    assert.deepEqual([event.type, event.messages.length], ['delete', 2]);
    context.chat.push(gone);
});

test('while a reply is written nothing is told, and everything afterwards', async () => {
    document.body.dataset.generating = 'true';
    context.chat.push(message('Alex', 'Well?'), message('Mira', 'I am thin'));
    await emit('MESSAGE_SWIPED', 4);
    calm();
    await request();
    assert.equal(server.events().length, 0);
    context.chat[4].mes = 'I am thinking.';
    delete document.body.dataset.generating;
    await emit('GENERATION_ENDED', 5);
    calm();
    await request();
    const events = server.events();
    assert.equal(events.length, 1);
    assert.deepEqual([events[0].type, events[0].messages.at(-1).content], ['swipe', 'I am thinking.']);
    context.chat.length = 3;
});

test('a request waits for the event before it, and makes the next one news', async () => {
    context.chat[2].mes = 'Edited.';
    await emit('MESSAGE_EDITED', 2);
    await request();
    assert.equal(server.events().length, 1, 'told before the request goes out');
    await emit('GENERATION_ENDED', 3);
    calm();
    assert.equal((await server.told(2)).length, 2, 'the same chat again, for the request changed what is stored');
});

test('a request waits for an event that is under way', async () => {
    context.chat[2].mes = 'Edited again.';
    await emit('MESSAGE_EDITED', 2);
    calm();
    await request();
    assert.equal(server.events().length, 1);
});

test('a request does not wait for a server that takes its time', async () => {
    const slow = await listen(() => new Promise(() => { }));
    context.chatCompletionSettings.custom_url = slow.url;
    await emit('MESSAGE_EDITED', 2);
    const sent = request();
    await slow.asked;
    mock.timers.tick(2_000);
    await sent;
    context.chatCompletionSettings.custom_url = server.url;
    slow.close();
});

test('a request is tagged for the Custom source alone', async () => {
    const custom = {
        type: 'swipe', chat_completion_source: 'custom', messages: [{ role: 'user', content: 'x' }],
        custom_include_body: '{"top_k": 1}', char_name: 'Mira', user_name: 'Alex', group_names: [],
    };
    const other = { ...custom, chat_completion_source: 'openai' };
    const untouched = structuredClone(other);
    await emit('CHAT_COMPLETION_SETTINGS_READY', custom);
    await emit('CHAT_COMPLETION_SETTINGS_READY', other);
    const whose = { character: 'Mira', avatar: 'Mira.png', user_name: 'Alex' };
    const names = { chat_id: context.chatId, chat_file: context.chatId, ...whose };
    assert.deepEqual(JSON.parse(custom.custom_include_body), { top_k: 1, metadata: { kind: 'swipe', ...names } });
    assert.deepEqual(other, untouched);
});

test('what the user switched off stays undone', async () => {
    context.extensionSettings.emotional_rag = { tag: false, report: false };
    const { custom_include_body } = await request({ custom_include_body: 'top_k: 1' });
    assert.equal(custom_include_body, 'top_k: 1');
    context.chat[2].mes = 'Switched off.';
    await emit('MESSAGE_EDITED', 2);
    look();
    await request();
    assert.equal(server.seen.length, 0);
});

test('another source, no chat, or a chat that is being loaded: nothing is told', async () => {
    for (const change of [
        () => { context.chatCompletionSettings.chat_completion_source = 'openai'; },
        () => { context.mainApi = 'kobold'; },
        () => { context.chatId = 'another, not loaded yet'; },
        () => { context.chatId = undefined; },
        () => { context.chatCompletionSettings.custom_url = 'nonsense'; },
    ]) {
        const [settings, id, api] = [{ ...context.chatCompletionSettings }, context.chatId, context.mainApi];
        change();
        context.chat[2].mes += '!';
        await emit('MESSAGE_EDITED', 2);
        calm();
        await request();
        [context.chatCompletionSettings, context.chatId, context.mainApi] = [settings, id, api];
    }
    assert.equal(server.seen.length, 0);
});

test('an event names the chat as the user\'s own parameters do', async () => {
    const settings = context.chatCompletionSettings;
    for (const [body, headers, path, character] of [
        ['metadata:\n  chat_id: |-\n    {{char}} 1\n  character: Sea', '', 'Mira%201', 'Sea'],
        ['metadata:\n  chat_id: x', 'X-Chat-Id: {{char}}', 'Mira', 'Mira'],
    ]) {
        Object.assign(settings, { custom_include_body: body, custom_include_headers: headers });
        const { custom_include_body } = await request({ custom_include_body: body });
        server.seen.length = 0;
        context.chat[2].mes += '.';
        await emit('MESSAGE_EDITED', 2);
        calm();
        const [event] = await server.told(1);
        assert.deepEqual([event.path, event.character], [`/v1/sessions/${path}/events`, character]);
        assert.ok(custom_include_body.includes('chat_id'));
    }
    Object.assign(settings, { custom_include_body: '', custom_include_headers: '' });
});

test('a server that is not ours is told no chat, and its failure is quiet', async () => {
    const stranger = await listen(undefined, [200, { object: 'list', data: [] }]);
    const lines = [];
    const { info } = console;
    console.info = (...words) => lines.push(words.join(' '));
    for (const url of [stranger.url, 'http://127.0.0.1:9/v1']) {
        context.chatCompletionSettings.custom_url = url;
        context.chat[2].mes += '?';
        await emit('MESSAGE_EDITED', 2);
        await request();
    }
    console.info = info;
    context.chatCompletionSettings.custom_url = server.url;
    stranger.close();
    assert.deepEqual(stranger.seen.map(({ method }) => method), ['GET']);
    assert.equal(lines.length, 2);
    assert.ok(lines.every((line) => line.includes('[Emotional RAG]')), lines.join('\n'));
});

test('the visible chat is what a prompt would show', async () => {
    const ignore = Symbol('ignore');
    const chat = {
        name1: 'Alex', name2: 'Mira', symbols: { ignore }, chat: [
            message('Mira', 'Hello {{user}}, I am {{char}}. {{setvar::x::1}}'),
            message('Alex', 'hidden', { is_system: true }),
            message('System', 'Night falls.', { extra: { type: 'narrator' } }),
            message('Alex', 'ignored', { extra: { [ignore]: true } }),
            message('Alex', 'A picture.', { extra: { title: 'a boat', append_title: true } }),
            message('Mira', 'half \ud83d pair'),
        ],
    };
    const prompt = {
        regexed: (text, placement, { isPrompt, depth }) => `${text} [${placement} ${isPrompt} ${depth}]`,
        withFiles: async (_message, text) => text,
    };
    assert.deepEqual(await visibleChat(chat, prompt), [
        { role: 'assistant', name: 'Mira', content: 'Hello Alex, I am Mira. {{setvar::x::1}} [2 true 4]' },
        { role: 'user', name: 'Alex', content: 'A picture. [1 true 1]\n\na boat' },
        { role: 'assistant', name: 'Mira', content: 'half \ufffd pair [2 true 0]' },
    ]);
    assert.deepEqual(await visibleChat({ ...chat, chat: [] }, plain), []);
});

test('the signature follows what is shown', () => {
    const of = (...chat) => signature({ chat, getCurrentChatId: () => 'c' });
    const one = message('Mira', 'abc');
    const others = [
        of(), of(one, one), of({ ...one, mes: 'abcd' }), of({ ...one, swipe_id: 1 }), of({ ...one, is_system: true }),
    ];
    assert.equal(new Set([of(one), ...others]).size, others.length + 1);
});

test('addresses', () => {
    assert.deepEqual(endpoint('http://127.0.0.1:8001/v1'), { base: 'http://127.0.0.1:8001', chatId: '' });
    assert.deepEqual(endpoint(' http://127.0.0.1:8001/v1/ '), { base: 'http://127.0.0.1:8001', chatId: '' });
    assert.deepEqual(endpoint('https://h/rag/c/our%20chat/v1'), { base: 'https://h/rag', chatId: 'our chat' });
    for (const url of ['', undefined, 'http://127.0.0.1:8001', 'ftp://h/v1', '/v1']) {
        assert.equal(endpoint(url), null);
    }
});
