/** Renamed and deleted chats, as the extension tells them; run by tests/server/test_extension.py. */

import assert from 'node:assert/strict';
import { after, before, beforeEach, mock, test } from 'node:test';

import { listen, open } from './sillytavern.mjs';

mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
const SILLYTAVERNS = {
    '/api/characters/get': { name: 'Mirabel' },
    '/api/characters/chats': [{ file_name: 'Main.jsonl' }, { file_name: 'A b.jsonl' }],
};

const MIRA = { character: 'Mira', avatar: 'Mira.png' };
const BRAM = { character: 'Bram', avatar: 'Bram.png' };

let context;
let server;
let url;

const emit = (name, ...values) => context.eventSource.emit(name.toLowerCase(), ...values);
const told = async (count) => (await server.told(count)).map(({ messages, ...event }) => event);
const renamed = (old, now, more = { avatarId: 'Mira.png' }) =>
    emit('CHAT_RENAMED', { oldFileName: `${old}.jsonl`, newFileName: `${now}.jsonl`, ...more });
const at = (chat) => `/v1/sessions/${encodeURIComponent(chat)}/events`;
/** Ends when everything is told. */
const request = () => emit('CHAT_COMPLETION_SETTINGS_READY', {
    type: 'normal', chat_completion_source: 'custom', messages: [], custom_include_body: '',
});

before(async () => {
    context = open();
    server = await listen();
    url = server.url;
    const { fetch } = globalThis;
    globalThis.fetch = (address, given) => address in SILLYTAVERNS
        ? Promise.resolve(new Response(JSON.stringify(SILLYTAVERNS[address])))
        : fetch(address, given);
    await (await import(`${process.env.EXTENSION}/index.js`)).activate();
});

after(() => server.close());

beforeEach(async () => {
    context.extensionSettings = {};
    context.characterId = '0';
    context.chatCompletionSettings.custom_url = url;
    await emit('CHAT_CHANGED', 'Mira 1');
    await request();
    server.seen.length = 0;
});

test('a renamed chat is told with the name of its file, a group\'s as a group\'s', async () => {
    await renamed('Mira 1', 'Night: one?');
    await renamed('Mira 1', 'Other.jsonl', { avatarId: 'Bram.png' });
    await renamed('Mira 1', 'Pier', { groupId: '7' });
    assert.deepEqual(await told(3), [
        { type: 'chat_renamed', path: at('Mira 1'), ...MIRA, new_chat_id: 'Night one' },
        { type: 'chat_renamed', path: at('Mira 1'), ...BRAM, new_chat_id: 'Other.jsonl' },
        { type: 'chat_renamed', path: at('Mira 1'), is_group: true, new_chat_id: 'Pier' },
    ]);
});

test('every chat of a renamed character is told', async () => {
    await emit('CHARACTER_RENAMED', 'Mira.png', 'Mirabel1.png');
    assert.deepEqual(await told(2), ['Main', 'A b'].map((chat) => (
        { type: 'chat_renamed', path: at(chat), ...MIRA, new_character: 'Mirabel', new_avatar: 'Mirabel1.png' }
    )));
});

test('a deleted chat is told with whose it was', async () => {
    await emit('CHAT_DELETED', 'Mira 1');
    await emit('GROUP_CHAT_DELETED', '2026');
    context.characterId = undefined;
    const [file, avatar] = ['Main', 'Bram.png'];
    document.click({ target: { closest: () => ({ dataset: { file, avatar } }) } });
    document.click({ target: { closest: () => null } });
    await emit('CHAT_DELETED', 'Main');
    assert.deepEqual(await told(3), [
        { type: 'chat_deleted', path: at('Mira 1'), ...MIRA },
        { type: 'chat_deleted', path: at('2026'), is_group: true },
        { type: 'chat_deleted', path: at('Main'), ...BRAM },
    ]);
});

test('a character\'s namesakes are told, for whom older memory may be', async () => {
    const twin = { name: 'Mira', avatar: 'Mira_1.png' };
    context.characters.push(twin);
    await emit('CHAT_DELETED', 'Mira 1');
    context.characterId = undefined;
    await emit('CHAT_DELETED', 'Main');
    context.characters.pop();
    await emit('CHARACTER_DELETED', { id: 2, character: twin });
    assert.deepEqual(await told(2), [
        { type: 'chat_deleted', path: at('Mira 1'), ...MIRA, has_namesakes: true },
        { type: 'chat_deleted', path: at('Main'), character: 'Mira', avatar: 'Mira_1.png', has_namesakes: true },
    ]);
});

test('the chats of a deleted character are told once it is known, and nobody\'s are not', async () => {
    context.characterId = undefined;
    await emit('CHAT_DELETED', 'Whose?');
    await emit('CHAT_CHANGED', undefined);
    await emit('CHAT_DELETED', 'Main');
    await emit('CHAT_DELETED', 'A b');
    await emit('CHARACTER_DELETED', { id: 1, character: context.characters[1] });
    assert.deepEqual(await told(2), ['Main', 'A b'].map((chat) => (
        { type: 'chat_deleted', path: at(chat), ...BRAM }
    )));
    await request();
    assert.equal(server.events().length, 2);
});

test('what the user switched off, and what another source would have to be told, stays undone', async () => {
    context.extensionSettings.emotional_rag = { forget: false };
    await emit('CHAT_DELETED', 'Mira 1');
    context.extensionSettings.emotional_rag = { report: false };
    await emit('CHAT_DELETED', 'Mira 1');
    await renamed('Mira 1', 'Other');
    context.extensionSettings = {};
    context.mainApi = 'kobold';
    await renamed('Mira 1', 'Other');
    context.mainApi = 'openai';
    await request();
    assert.equal(server.seen.length, 0);
});

test('a server that is away is told when it is back, in order, and another one never', async () => {
    const { info } = console;
    console.info = () => { };
    server.close();
    await renamed('Mira 1', 'Two');
    await emit('CHAT_DELETED', 'Mira 3');
    await request();
    const stranger = await listen(undefined, [200, { object: 'list', data: [] }]);
    context.chatCompletionSettings.custom_url = stranger.url;
    await renamed('Mira 4', 'Four');
    console.info = info;
    server = await listen(undefined, undefined, Number(new URL(url).port));
    await request();
    assert.deepEqual((await told(2)).map(({ type, path }) => [type, path]), [
        ['chat_renamed', at('Mira 1')],
        ['chat_deleted', at('Mira 3')],
    ]);
    assert.deepEqual(stranger.seen.map(({ method }) => method), ['GET']);
    stranger.close();
});
