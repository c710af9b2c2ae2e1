"""The two hundred things that can be drawn, in the order in which they are learned.

A row is: key; icon; home; fills; English names; Korean names. `icon` is a name in Fluent Emoji
Flat. `home` is where a person would put the thing: on the (g)round, in the (s)ky, on the (w)ater or
(i)ndoors, which is the middle. `fills` are the icon's colours that change when the thing is asked
for in another colour, the main one first; `-` where it has only its own. The first name is the one
that the page shows; more names of a thing come from emojibase (see `words.py`).
"""

from dataclasses import dataclass
from functools import cache

FIRST = """
cat; cat; g; f3ad61 d3883e; cat,kitten,kitty; 고양이,새끼 고양이
dog; dog; g; f3ad61 d3883e; dog,puppy,doggy; 개,강아지
panda; panda; g; -; panda,panda bear; 판다,팬더
fox; fox; g; -; fox; 여우
lion; lion; g; -; lion; 사자
tiger; tiger-face; g; -; tiger; 호랑이
rabbit; rabbit-face; g; -; rabbit,bunny; 토끼
bear; bear; g; -; bear; 곰
koala; koala; g; -; koala; 코알라
monkey; monkey-face; g; -; monkey; 원숭이
pig; pig-face; g; -; pig; 돼지
cow; cow-face; g; -; cow; 소,젖소
frog; frog; g; -; frog; 개구리
elephant; elephant; g; 9b9b9b 636363; elephant; 코끼리
giraffe; giraffe; g; -; giraffe; 기린
chicken; chicken; g; -; chicken,hen; 닭,암탉
bird; bird; s; ca0b4a; bird; 새
penguin; penguin; g; -; penguin; 펭귄
owl; owl; g; -; owl; 부엉이,올빼미
duck; duck; w; -; duck; 오리
turtle; turtle; g; -; turtle,tortoise; 거북이,거북
dinosaur; sauropod; g; -; dinosaur,brontosaurus; 공룡
dragon; dragon; g; -; dragon; 용,드래곤
unicorn; unicorn; g; -; unicorn; 유니콘
fish; fish; w; 00a6ed 0074ba; fish; 물고기
whale; spouting-whale; w; -; whale; 고래
dolphin; dolphin; w; -; dolphin; 돌고래
octopus; octopus; w; -; octopus; 문어
crab; crab; g; -; crab; 게,꽃게
butterfly; butterfly; s; ff822d ff6723; butterfly; 나비
bee; honeybee; s; -; bee,honeybee; 벌,꿀벌
ladybug; lady-beetle; g; -; ladybug,ladybird; 무당벌레
smiley; grinning-face; i; -; smiling face,smiley,happy face; 웃는 얼굴,스마일
robot; robot; g; -; robot; 로봇
ghost; ghost; s; -; ghost; 유령,귀신
alien; alien; g; -; alien; 외계인
astronaut; astronaut; g; -; astronaut,spaceman; 우주비행사,우주인
woman; woman; g; -; woman,lady; 여자,여성
man; man; g; -; man,guy; 남자,남성
baby; baby; g; -; baby; 아기
pumpkin; jack-o-lantern; g; -; jack-o'-lantern,pumpkin,halloween pumpkin; 호박,핼러윈 호박
snowman; snowman-without-snow; g; -; snowman; 눈사람
apple; red-apple; i; f8312f; apple; 사과
banana; banana; i; -; banana; 바나나
orange; tangerine; i; -; orange,tangerine; 오렌지,귤
strawberry; strawberry; i; -; strawberry; 딸기
grapes; grapes; i; -; grapes,bunch of grapes; 포도
watermelon; watermelon; i; -; watermelon,slice of watermelon; 수박
pizza; pizza; i; -; pizza,slice of pizza; 피자,피자 한 조각
burger; hamburger; i; -; hamburger,burger; 햄버거,버거
noodles; steaming-bowl; i; -; bowl of noodles,noodles,ramen; 국수,라면,국수 한 그릇
sushi; sushi; i; -; sushi; 초밥,스시
ice cream; soft-ice-cream; i; -; ice cream,ice cream cone; 아이스크림
donut; doughnut; i; -; donut,doughnut; 도넛,도너츠
cake; birthday-cake; i; -; birthday cake,cake; 생일 케이크,케이크
coffee; hot-beverage; i; -; cup of coffee,coffee,mug of coffee; 커피,커피 한 잔
tree; deciduous-tree; g; -; tree; 나무
pine tree; evergreen-tree; g; -; pine tree,evergreen tree,fir tree; 소나무,전나무
palm tree; palm-tree; g; -; palm tree,palm; 야자수,야자나무
cactus; cactus; g; -; cactus; 선인장
sunflower; sunflower; g; -; sunflower; 해바라기
flower; tulip; g; ff6dc6 f70a8d; flower,tulip; 꽃,튤립
rose; rose; g; f8312f ca0b4a; rose; 장미
car; automobile; g; f8312f ca0b4a; car,automobile; 자동차,차
bus; bus; g; ffb02e fff478; bus; 버스
bicycle; bicycle; g; f92f60; bicycle,bike; 자전거
train; locomotive; g; -; train,steam train,locomotive; 기차,증기 기관차
airplane; airplane; s; -; airplane,plane; 비행기
rocket; rocket; s; ca0b4a f92f60; rocket,spaceship; 로켓,우주선
boat; sailboat; w; -; sailboat,boat,sailing boat; 돛단배,배,요트
house; house; g; f3c07b 8c5543; house,home; 집,주택
castle; castle; g; -; castle; 성,궁전
sun; sun-with-face; s; -; sun,smiling sun; 해,태양,웃는 해
moon; crescent-moon; s; -; moon,crescent moon; 달,초승달
cloud; cloud; s; -; cloud; 구름
rainbow; rainbow; s; -; rainbow; 무지개
umbrella; umbrella; g; 8d65c5 433b6b; umbrella; 우산
balloon; balloon; s; f8312f ca0b4a ff8687; balloon; 풍선
t-shirt; t-shirt; i; 86d72f 00d26a 44911b c3ef3c; t-shirt,shirt; 티셔츠
guitar; guitar; i; ca0b4a; guitar,electric guitar; 기타,전기 기타
"""

LATER = """
wolf; wolf; g; -; wolf; 늑대
horse; horse-face; g; -; horse,pony; 말
mouse; mouse-face; g; -; mouse; 쥐,생쥐
zebra; zebra; g; -; zebra; 얼룩말
sheep; ewe; g; -; sheep; 양
deer; deer; g; -; deer; 사슴
polar bear; polar-bear; g; -; polar bear; 북극곰
eagle; eagle; s; -; eagle; 독수리
parrot; parrot; g; -; parrot; 앵무새
snake; snake; g; -; snake; 뱀
crocodile; crocodile; g; -; crocodile,alligator; 악어
shark; shark; w; -; shark; 상어
snail; snail; g; -; snail; 달팽이
spider; spider; g; -; spider; 거미
sad face; crying-face; i; -; crying face,sad face; 우는 얼굴,슬픈 얼굴
clown; clown-face; i; -; clown; 광대,어릿광대
santa; santa-claus; g; -; santa,santa claus; 산타,산타클로스
princess; princess; g; -; princess,queen; 공주,여왕
lemon; lemon; i; -; lemon; 레몬
cherries; cherries; i; -; cherries,cherry; 체리
carrot; carrot; i; -; carrot; 당근
bread; bread; i; -; bread,loaf of bread,toast; 빵,식빵
fried egg; cooking; i; -; fried egg,frying pan; 달걀 프라이,프라이팬
mushroom; mushroom; g; f8312f; mushroom,toadstool; 버섯
cookie; cookie; i; -; cookie,biscuit; 쿠키
christmas tree; christmas-tree; g; -; christmas tree; 크리스마스트리,크리스마스 트리
truck; delivery-truck; g; -; truck,delivery truck; 트럭
motorcycle; motorcycle; g; -; motorcycle,motorbike; 오토바이
helicopter; helicopter; s; -; helicopter; 헬리콥터
ufo; flying-saucer; s; -; ufo,flying saucer; 유에프오,비행접시
ship; ship; w; -; ship,cruise ship; 여객선,유람선
mountain; snow-capped-mountain; g; -; mountain,snowy mountain; 산,눈 덮인 산
fire; fire; g; -; fire,flame,campfire; 불,불꽃
planet; ringed-planet; s; -; planet,saturn; 행성,토성
gift; wrapped-gift; i; fcd53f ffb02e; gift,present; 선물,선물 상자
crown; crown; i; -; crown; 왕관
clock; alarm-clock; i; -; clock,alarm clock; 시계,알람 시계
books; books; i; -; books,book; 책
ball; soccer-ball; g; -; soccer ball,football; 축구공
computer; laptop; i; -; laptop,computer; 노트북,컴퓨터
hamster; hamster; g; -; hamster; 햄스터
hippo; hippopotamus; g; -; hippopotamus,hippo; 하마
goat; goat; g; -; goat; 염소
camel; camel; g; -; camel; 낙타
kangaroo; kangaroo; g; -; kangaroo; 캥거루
sloth; sloth; g; -; sloth; 나무늘보
hedgehog; hedgehog; g; -; hedgehog; 고슴도치
raccoon; raccoon; g; -; raccoon; 너구리,라쿤
bat; bat; s; -; bat; 박쥐
rooster; rooster; g; -; rooster; 수탉
chick; front-facing-baby-chick; g; -; chick,baby chick; 병아리
flamingo; flamingo; w; -; flamingo; 홍학,플라밍고
peacock; peacock; g; -; peacock; 공작새,공작
swan; swan; w; -; swan; 백조
tyrannosaurus; t-rex; g; -; t-rex,tyrannosaurus; 티라노사우루스,티렉스
tropical fish; tropical-fish; w; -; tropical fish; 열대어
squid; squid; w; -; squid; 오징어
lobster; lobster; g; -; lobster; 바닷가재,랍스터
ant; ant; g; -; ant; 개미
teddy bear; teddy-bear; i; -; teddy bear; 곰 인형,테디베어
cool face; smiling-face-with-sunglasses; i; -; face with sunglasses,cool face; 선글라스를 낀 얼굴
angry face; angry-face; i; -; angry face; 화난 얼굴
skull; skull; i; -; skull; 해골
police officer; police-officer; g; -; police officer,policeman; 경찰,경찰관
wizard; person-mage; g; -; wizard,magician; 마법사
ninja; ninja; g; -; ninja; 닌자
cook; cook; g; -; cook,chef; 요리사,셰프
peach; peach; i; -; peach; 복숭아
pear; pear; i; -; pear; 서양배
pineapple; pineapple; i; -; pineapple; 파인애플
kiwi; kiwi-fruit; i; -; kiwi,kiwi fruit; 키위
avocado; avocado; i; -; avocado; 아보카도
tomato; tomato; i; -; tomato; 토마토
corn; ear-of-corn; i; -; corn,ear of corn; 옥수수
broccoli; broccoli; i; -; broccoli; 브로콜리
croissant; croissant; i; -; croissant; 크루아상
cheese; cheese-wedge; i; -; cheese; 치즈
egg; egg; i; -; egg; 달걀,계란
pancakes; pancakes; i; -; pancakes; 팬케이크
fries; french-fries; i; -; french fries,fries,chips; 감자튀김
hot dog; hot-dog; i; -; hot dog; 핫도그
sandwich; sandwich; i; -; sandwich; 샌드위치
taco; taco; i; -; taco; 타코
rice; cooked-rice; i; -; bowl of rice,rice; 밥,밥 한 그릇
rice ball; rice-ball; i; -; rice ball; 주먹밥,삼각김밥
shrimp; shrimp; i; -; shrimp,prawn; 새우
cupcake; cupcake; i; -; cupcake,muffin; 컵케이크
chocolate; chocolate-bar; i; -; chocolate,chocolate bar; 초콜릿
lollipop; lollipop; i; -; lollipop,candy; 막대 사탕,사탕
beer; beer-mug; i; -; beer,mug of beer; 맥주,맥주 한 잔
wine; wine-glass; i; -; wine,glass of wine; 와인,와인 한 잔
popcorn; popcorn; i; -; popcorn; 팝콘
cherry blossom; cherry-blossom; i; ff6dc6; cherry blossom; 벚꽃
bouquet; bouquet; i; -; bouquet,bunch of flowers; 꽃다발
clover; four-leaf-clover; i; -; clover,four-leaf clover; 네잎클로버,클로버
maple leaf; maple-leaf; i; -; maple leaf; 단풍잎
potted plant; potted-plant; i; -; potted plant,houseplant; 화분
taxi; taxi; g; -; taxi,cab; 택시
police car; police-car; g; -; police car; 경찰차
fire truck; fire-engine; g; -; fire truck,fire engine; 소방차
ambulance; ambulance; g; -; ambulance; 구급차
tractor; tractor; g; -; tractor; 트랙터
scooter; motor-scooter; g; f92f60 ca0b4a; scooter,moped; 스쿠터
church; church; g; -; church; 교회,성당
school; school; g; -; school; 학교
tent; tent; g; -; tent; 텐트
ferris wheel; ferris-wheel; g; -; ferris wheel; 대관람차,관람차
volcano; volcano; g; -; volcano; 화산
lightning; high-voltage; s; -; lightning,lightning bolt; 번개
snowflake; snowflake; s; -; snowflake; 눈송이,눈꽃
earth; globe-showing-europe-africa; s; -; earth,globe; 지구
hat; billed-cap; i; 8bafff 6683ff 6a8cff 526ce3 3c378c; cap,hat; 모자
camera; camera; i; -; camera; 카메라
light bulb; light-bulb; i; -; light bulb; 전구
key; key; i; -; key; 열쇠
basketball; basketball; g; -; basketball; 농구공
trophy; trophy; i; -; trophy; 트로피
violin; violin; i; -; violin; 바이올린
trumpet; trumpet; i; -; trumpet; 트럼펫
drum; drum; i; -; drum; 북,드럼
"""

HOMES = {"g": "ground", "s": "sky", "w": "water", "i": "indoors"}


@dataclass(frozen=True, slots=True)
class Thing:
    """One thing of the world; `names` are by language, `fills` six-digit colours without the #."""

    key: str
    icon: str
    home: str
    fills: tuple[str, ...]
    names: dict[str, tuple[str, ...]]


def _rows(text: str) -> list[Thing]:
    things = []
    for line in text.strip().splitlines():
        key, icon, home, fills, english, korean = (part.strip() for part in line.split(";"))
        names = {"en": tuple(english.split(",")), "ko": tuple(korean.split(","))}
        colours = () if fills == "-" else tuple(fills.split())
        things.append(Thing(key, icon, HOMES[home], colours, names))
    return things


@cache
def all_things() -> dict[str, Thing]:
    """Every thing by its key, the first eighty first."""
    return {thing.key: thing for thing in _rows(FIRST) + _rows(LATER)}


def first_keys(count: int) -> tuple[str, ...]:
    """The keys of the first `count` things."""
    return tuple(all_things())[:count]
