/** Tags of requests, and what happens to the user's own YAML; run by tests/server/test_extension.py. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

const { avatarOf, tagOf, toldByUser, withTag, Prompts } = await import(`${process.env.EXTENSION}/tag.js`);
const { yaml } = await import(`${process.env.EXTENSION}/../../../../lib.js`);

const TAG = { chat_id: 'Mira "M" O\'Hara: #1 - 2026', kind: 'swipe', character: 'Mira "M" O\'Hara' };
const read = (text) => yaml.parse(text);
const tagged = (text) => read(withTag(text, TAG, yaml.parse));

/** What SillyTavern's server adds to the body (src/util.js, mergeObjectWithYaml). */
function sent(text) {
    const body = {};
    try {
        const parsed = read(text);
        for (const item of Array.isArray(parsed) ? parsed : [parsed]) {
            if (typeof item === 'object' && item && !Array.isArray(item)) {
                Object.assign(body, item);
            }
        }
    } catch { /* as SillyTavern does */ }
    return body;
}

const THEIRS = {
    empty: '',
    blank: '  \n\n',
    'a comment': '# nothing yet\n',
    'a mapping': 'top_k: 40\nmin_p: 0.05\n',
    'a mapping without an end of line': 'top_k: 40',
    'a comment after it': 'top_k: 40 # forty\n# the end',
    'a flow mapping': '{top_k: 40, provider: {order: [a, b]}}',
    'JSON': '{"top_k": 40, "note": "a: b"}',
    'a list of mappings': '- top_k: 40\n- min_p: 0.05\n',
    'a list with strangers': '- top_k: 40\n- just text\n- [1, 2]\n',
    'a literal block': 'note: |\n  It\'s "quoted": yes\n\n    indented\nmin_p: 0.1\n',
    'a folded block': 'note: >-\n  folded\n  text\n',
    'a block at the end that keeps its newlines': 'note: |+\n  text\n\n\n',
    'a document': '---\ntop_k: 40\n...\n',
    'anchors': 'a: &x {n: 1}\nb: *x\n',
    'quotes': 'a: "say \\"hi\\"\\n"\nb: \'it\'\'s\'\n',
    'numbers and nulls': 'a: 0x10\nb: ~\nc: true\nd: 1e3\n"1": one\n',
    'letters of all kinds': 'a: "🐦 Ältere\\u2028Zeile"\n',
    'carriage returns': 'top_k: 40\r\nmin_p: 0.05\r\n',
};

for (const [name, text] of Object.entries(THEIRS)) {
    test(`theirs is sent as before with ours beside it: ${name}`, () => {
        const { metadata, ...rest } = sent(withTag(text, TAG, yaml.parse));
        assert.deepEqual(rest, sent(text));
        assert.deepEqual(metadata, TAG);
    });
}

for (const [name, text] of Object.entries({
    'no YAML': 'a: b: c\n  - d',
    'a plain scalar that a quote in a name broke': 'metadata:\n  character: "Mira "M" O\'Hara"\n',
    'an unclosed quote': 'a: "b',
    tabs: '\ta: 1\n\tb: 2',
    'the same key twice': 'a: 1\na: 2',
    'two documents': 'a: 1\n---\nb: 2',
    text: 'just words',
    'a number': '42',
})) {
    test(`where SillyTavern sends nothing of theirs, ours is sent: ${name}`, () => {
        assert.deepEqual(sent(text), {});
        assert.deepEqual(tagged(text), { metadata: TAG });
    });
}

test('metadata of theirs is kept, and every key of it wins', () => {
    const theirs = 'metadata:\n  kind: quiet\n  memory_scope: character\n';
    assert.deepEqual(tagged(theirs).metadata, { ...TAG, kind: 'quiet', memory_scope: 'character' });
    assert.deepEqual(tagged(`- top_k: 1\n- ${theirs.replaceAll('\n', '\n  ')}`).metadata.kind, 'quiet');
});

for (const text of ['metadata: none', 'metadata: [a]', 'metadata:', 'metadata: 3']) {
    test(`metadata of another shape is theirs alone: ${text}`, () => {
        assert.equal(withTag(text, TAG, yaml.parse), text);
    });
}

test('hostile names stay names', () => {
    for (const name of ['"', '\'', 'a: b', '#x', '- y', '{{user}}', 'x\ny', '\\', '*z', '&w', '🐦', '%YAML', 'null']) {
        const tag = { chat_id: name, character: name, kind: 'normal' };
        assert.deepEqual(read(withTag('top_k: 1', tag, yaml.parse)), { top_k: 1, metadata: tag });
    }
});

test('what is not known is left out of the tag', () => {
    assert.deepEqual(tagOf({ char_name: '', user_name: 'Alex', group_names: [] }, undefined, 'raw'),
        { kind: 'raw', user_name: 'Alex' });
    assert.deepEqual(tagOf({ char_name: 'Mira', user_name: 'Alex', group_names: ['Mira', 'Tom'] }, 'c', 'normal'),
        {
            chat_id: 'c', chat_file: 'c', kind: 'normal',
            character: 'Mira', user_name: 'Alex', group_members: ['Mira', 'Tom'],
        });
});

test('the avatar tells characters of one name apart, and is no group\'s', () => {
    const characters = [{ name: 'Mira', avatar: 'Mira.png' }, { name: 'Mira', avatar: 'Mira_1.png' }];
    assert.equal(avatarOf({ groupId: null, characters, characterId: '1' }), 'Mira_1.png');
    assert.equal(avatarOf({ groupId: '7', characters, characterId: '1' }), '');
    assert.equal(avatarOf({ groupId: null, characters, characterId: undefined }), '');
    assert.deepEqual(tagOf({ char_name: 'Mira' }, 'c', 'normal', { avatar: 'Mira_1.png' }),
        { chat_id: 'c', chat_file: 'c', kind: 'normal', character: 'Mira', avatar: 'Mira_1.png' });
    assert.equal(tagOf({ char_name: 'Mira' }, 'c', 'normal', { isWhole: true }).window, 'whole');
});

test('each type of SillyTavern has its kind', () => {
    const prompts = new Prompts();
    const messages = [{ role: 'system', content: 'card' }];
    prompts.full({ prompt: messages });
    const kinds = ['normal', 'regenerate', 'swipe', 'continue', 'impersonate', 'quiet', 'appendFinal', undefined]
        .map((type) => prompts.kind({ type, messages: [...messages] }));
    assert.deepEqual(kinds,
        ['normal', 'regenerate', 'swipe', 'continue', 'impersonate', 'quiet', 'append', 'normal']);
});

test('a raw prompt and the connection test are no quiet prompts', () => {
    const prompts = new Prompts();
    const raw = [{ role: 'user', content: 'Hi' }];
    prompts.ready({ chat: raw });
    assert.equal(prompts.kind({ type: 'quiet', messages: raw }), 'raw');
    assert.equal(prompts.kind({ type: 'quiet', messages: [{ role: 'user', content: 'Hi' }] }), 'test');
    assert.equal(prompts.kind({ type: 'quiet', messages: [{ role: 'user', content: 'Say hi' }] }), 'raw');
    assert.equal(prompts.kind({ type: 'quiet', messages: undefined }), 'raw');
});

test('what the user tells of the chat is known as our server reads it', () => {
    const of = (body, headers) => toldByUser(body, headers, yaml.parse);
    const own = 'metadata:\n  chat_id: |-\n    Mira\'s "first"\n  character: |-\n    Mira\n  note: x\n';
    assert.deepEqual(of(own, ''), { chat_id: 'Mira\'s "first"', character: 'Mira' });
    assert.deepEqual(of(own, 'x-Chat-ID: 7\nX-Other: y'), { chat_id: '7', character: 'Mira' });
    assert.deepEqual(of(own, '- X-Chat-Id: ""'), of(own, ''));
    assert.deepEqual(of('{"metadata": {"chat_id": 5, "user_name": " A "}}', ''), { chat_id: '5', user_name: 'A' });
    assert.deepEqual(of('{"metadata": {"avatar": "Mira_1"}}', ''), { avatar: 'Mira_1' });
    for (const nothing of ['', undefined, 'a: b: c', 'metadata: [a]', 'metadata: {chat_id: "{{chatId}}"}',
        'metadata: {chat_id: true, character: [x]}', 'chat_id: x']) {
        assert.deepEqual(of(nothing, nothing), {});
    }
});
